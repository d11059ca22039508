export * from "ink";
export { Fragment, jsx, jsxs } from "react/jsx-runtime";
export { ready } from "./yoga.js";
