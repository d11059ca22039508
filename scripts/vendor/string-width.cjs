module.exports = require("fast-string-truncated-width").default;
