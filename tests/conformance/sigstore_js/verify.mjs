// Verify a Sigstore bundle against one public key with the npm packages of Sigstore.
// Usage: node verify.mjs BUNDLE PUBLIC_KEY_PEM KEY_HINT
// Prints the signed payload; exits 1 with the error's code if the bundle does not verify.
import { readFileSync } from "node:fs";
import { bundleFromJSON } from "@sigstore/bundle";
import { Verifier, toSignedEntity, toTrustMaterial } from "@sigstore/verify";

const [bundlePath, pemPath, hint] = process.argv.slice(2);
const noAuthorities = { certificateAuthorities: [], timestampAuthorities: [], tlogs: [], ctlogs: [] };
const keys = { [hint]: { rawBytes: readFileSync(pemPath, "utf8") } };

try {
  const bundle = bundleFromJSON(JSON.parse(readFileSync(bundlePath, "utf8")));
  const verifier = new Verifier(toTrustMaterial(noAuthorities, keys), {
    // A key held by the verifier needs no transparency log or timestamp to be trusted.
    ctlogThreshold: 0,
    tlogThreshold: 0,
    timestampThreshold: 0,
  });
  verifier.verify(toSignedEntity(bundle));
  process.stdout.write(bundle.content.dsseEnvelope.payload);
} catch (error) {
  console.error(`${error.name} ${error.code ?? ""} ${error.message}`);
  process.exit(1);
}
