import { join } from "node:path";
import type { Command } from "./processes.ts";
import type { Workspace } from "./workspace.ts";

/** An nginx of its own, in the foreground, that uses nothing outside of the workspace. */
export function nginxCommand(workspace: Workspace, name: string, http: string): Command {
  const home = join(workspace.directory, name);
  const config = workspace.write(
    `${name}/nginx.conf`,
    `daemon off;
${process.getuid?.() === 0 ? "user root;" : ""}
worker_processes 1;
pid ${home}/nginx.pid;
error_log stderr error;
events { worker_connections 4096; }
http {
  access_log off;
  sendfile on;
  tcp_nodelay on;
  client_body_temp_path ${home}/body;
  proxy_temp_path ${home}/proxy;
  fastcgi_temp_path ${home}/fastcgi;
  uwsgi_temp_path ${home}/uwsgi;
  scgi_temp_path ${home}/scgi;
  # The same for all: no connection is given up for having served many requests.
  keepalive_requests 100000000;
  keepalive_timeout 60s;
${http}
}
`,
  );
  return { file: "nginx", args: ["-p", home, "-e", "stderr", "-c", config] };
}
