// node check-manifests.mjs FILE: checks manifests against the schemas of Kubernetes' API and of the Prometheus operator, as
// kubernetes-models carries them: by its validators (types, formats, enumerations, what is required), and by its types, which know
// every field, so that a misspelt one is found too. An API server would refuse it, or drop it silently.
import { readFileSync } from "node:fs";
import ts from "typescript";
import { parseAllDocuments } from "yaml";

const manifests = parseAllDocuments(readFileSync(process.argv[2], "utf8")).map((document) => document.toJS());
const faults = [];
const checked = [];
const typed = [];

for (const manifest of manifests) {
  const { apiVersion, kind } = manifest;
  const name = `${kind}/${manifest.metadata?.name}`;
  const models = apiVersion.startsWith("monitoring.coreos.com/") ? "@kubernetes-models/prometheus-operator" : "kubernetes-models";
  const module = `${models}/${apiVersion}/${kind}`;
  try {
    const { [kind]: Model } = await import(module);
    new Model(manifest).validate();
    typed.push(`import { I${kind} as T${checked.length} } from "${module}"; export const m${checked.length}: T${checked.length} = ${JSON.stringify(manifest)};`);
    checked.push(name);
  } catch (fault) {
    faults.push(`${name}: ${fault.message}`);
  }
}

for (const diagnostic of diagnosticsOf(typed.join("\n"))) {
  const at = diagnostic.file?.getLineAndCharacterOfPosition(diagnostic.start).line;
  faults.push(`${checked[at] ?? "types"}: ${ts.flattenDiagnosticMessageText(diagnostic.messageText, "\n")}`);
}

console.log(faults.length ? faults.join("\n") : `fits: ${checked.join(", ")}`);
process.exitCode = faults.length ? 1 : 0;

/** Of a source that is in no file, one manifest a line. */
function diagnosticsOf(source) {
  const file = `${import.meta.dirname}/manifests.ts`;
  const options = {
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    target: ts.ScriptTarget.ES2022,
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    types: [],
  };
  const host = ts.createCompilerHost(options);
  const { getSourceFile, fileExists } = host;
  host.getSourceFile = (path, version) => (path === file ? ts.createSourceFile(path, source, version) : getSourceFile(path, version));
  host.fileExists = (path) => path === file || fileExists(path);
  return ts.getPreEmitDiagnostics(ts.createProgram([file], options, host));
}
