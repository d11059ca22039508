export { default } from "pg";
