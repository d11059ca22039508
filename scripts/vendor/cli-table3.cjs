module.exports = require("cli-table3");
