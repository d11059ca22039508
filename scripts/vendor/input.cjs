module.exports = require("@inquirer/input").default;
