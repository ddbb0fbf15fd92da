import { CredentialStore } from "../../credentials/store.ts";
import type { TransportTls } from "../../engines/envoy/ads/mutual-tls.ts";
import { CertificateFiles } from "../../sources/files/certificate-files.ts";
import type { Clock } from "../../telemetry/clock.ts";
import type { Logger } from "../../telemetry/logger.ts";

/** Files of PEM that the xDS stream is served with. */
export interface XdsFiles {
  readonly xdsCert: string;
  readonly xdsKey: string;
  readonly xdsClientCa: string;
}

/** What the control plane shows, and whom it lets in. Files are followed: what is published is checked as a peer would. */
export interface XdsIdentity {
  /** null: it is not there or not usable; `problems` says why. */
  current(): TransportTls | null;
  readonly problems: readonly string[];
  onChange(listener: () => void): void;
  close(): void;
}

/** Resolves once the files have been read, good or not. */
export async function followXdsIdentity(files: XdsFiles, clock: Clock, logger: Logger): Promise<XdsIdentity> {
  const store = new CredentialStore(clock, logger);
  const followed = new CertificateFiles(store);
  const subject = { kind: "File", namespace: "", name: files.xdsCert };
  await followed.follow([
    {
      name: NAME,
      certificateChain: files.xdsCert,
      privateKey: files.xdsKey,
      trustAnchors: files.xdsClientCa,
      anchorsAreOfClients: true,
      origin: { subject },
      places: {},
    },
  ]);
  return {
    current() {
      const credential = store.credential(NAME);
      const trust = store.trust(NAME);
      if (credential === undefined || trust === undefined) return null;
      const { certificateChain, privateKey } = credential;
      return { certificateChain, privateKey, clientCas: trust.anchors };
    },
    get problems() {
      const found = store.diagnostics().map(({ message }) => message);
      return found.length > 0 ? found : ["a certificate, its key and the clients' CA are needed"];
    },
    onChange: (listener) => void store.onChange(listener),
    close() {
      followed.stop();
      store.close();
    },
  };
}

/** In a store of its own: no resource can name it. */
const NAME = "files/xds";
