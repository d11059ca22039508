export * from "chalk";
