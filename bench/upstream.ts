import { join } from "node:path";
import { nginxCommand } from "./nginx.ts";
import { PEER_CORE, type Running, start } from "./processes.ts";
import { freePort, type Workspace } from "./workspace.ts";

export const SMALL_BODY: Buffer = Buffer.from("ok");
export const LARGE_BODY: Buffer = Buffer.alloc(1024 * 1024, "0123456789abcdef");

/** Answers with what the upstream knows of the certificate that it was shown. */
export const IDENTITY_PATH = "/identity";
export const IDENTITY: Buffer = Buffer.from("SUCCESS CN=client");

/** The one upstream behind every proxy: it insists on a client certificate. */
export async function startUpstream(workspace: Workspace): Promise<Running & { readonly port: number }> {
  const port = await freePort();
  workspace.write("upstream/www/small", SMALL_BODY);
  workspace.write("upstream/www/large", LARGE_BODY);
  const { ca, upstream } = workspace.files;
  const command = nginxCommand(
    workspace,
    "upstream",
    `  server {
    listen 127.0.0.1:${port} ssl backlog=1024;
    ssl_certificate ${upstream.certificate};
    ssl_certificate_key ${upstream.key};
    ssl_client_certificate ${ca};
    ssl_verify_client on;
    ssl_session_cache shared:upstream:10m;
    open_file_cache max=16;
    location = ${IDENTITY_PATH} { return 200 "$ssl_client_verify $ssl_client_s_dn"; }
    root ${join(workspace.directory, "upstream/www")};
  }`,
  );
  return { ...start(command, PEER_CORE), port };
}
