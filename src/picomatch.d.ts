declare module "picomatch" {
  interface Options {
    /** Let `*` match names that begin with a dot. */
    dot?: boolean;
    /** Take `!(…)`, `+(…)` and the like as they stand. */
    noextglob?: boolean;
    ignore?: readonly string[];
  }
  function picomatch(globs: string | readonly string[], options?: Options): (path: string) => boolean;
  export = picomatch;
}
