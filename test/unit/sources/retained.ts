// Run by secrets.test.ts in a process of its own, which sees a key only by reading it: loads the folder and writes a heap
// snapshot while the source is alive.
import { setFlagsFromString, writeHeapSnapshot } from "node:v8";
import { runInNewContext } from "node:vm";
import { CertificateFiles } from "../../../src/sources/files/certificate-files.ts";
import { createFileSource } from "../../../src/sources/files/files.ts";
import { createLogger } from "../../../src/telemetry/logger.ts";

const [folder = "", snapshot = ""] = process.argv.slice(2);
const credentials = { offer: () => {}, remove: () => {} };
const source = createFileSource({
  paths: [folder],
  credentials,
  ambassadorId: "default",
  logger: createLogger("silent"),
});
const files = new CertificateFiles(credentials);
const loaded = await source.load();
const path = `${folder}/key.pem`;
const origin = { subject: { kind: "TLSContext", namespace: "default", name: "c" } };
await files.follow([
  { name: "files/default/c", certificateChain: path, privateKey: path, places: {}, origin },
]);
files.stop();
// V8 remembers the text that the last regular expression looked at.
/now (another)/.exec("now another");
setFlagsFromString("--expose-gc");
runInNewContext("gc")();
writeHeapSnapshot(snapshot);
process.stdout.write(JSON.stringify([loaded.resources.mappings.length, loaded.diagnostics.length]));
process.stdout.write(` ${Object.keys(source)} ${files.constructor.name}`);
