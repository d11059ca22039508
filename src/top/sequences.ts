// biome-ignore-all lint/suspicious/noControlCharactersInRegex: this file names what terminals send and are sent.

/** A press, a release or a turn of the wheel (SGR mouse mode): button, column, row, `M` or `m`. */
export const MOUSE = /\x1b\[<(\d{1,5});(\d{1,5});(\d{1,5})([Mm])/g;

/** The beginning of a sequence that the next chunk goes on with. */
export const UNFINISHED = /\x1b\[(<[\d;]{0,17}|20?0?1?)?$/;

/** Characters that would steer a terminal. */
export const CONTROLS = /[\x00-\x1f\x7f-\x9f]+/g;

/** Parts a text at the sequences that set colours and styles; they are kept. */
export const SEQUENCES = /(\x1b\[[0-9;:]*m)/;

const STYLE = /^\x1b\[[0-9;:]*m$/;
const ANY_SEQUENCE = /\x1b(?:\][^\x07\x1b]*(?:\x07|\x1b\\)?|\[[0-?]*[ -/]*[@-~]|.)?|[\x00-\x08\x0b-\x1f\x7f]/g;

/** A line of a pane with its colours, and without any other sequence. */
export const stylesAlone = (line: string) => line.replace(ANY_SEQUENCE, (found) => (STYLE.test(found) ? found : ""));

/** A line without any sequence. */
export const plain = (line: string) => line.replace(ANY_SEQUENCE, "");
