import { type ErrorBodies, headWithBody } from "../error-bodies.ts";
import type { AuthAnswer } from "./answer.ts";

/** A refusal as it goes to the client: the service's status, the headers that may go on, and its body. */
export function refusalText(
  { status, statusText, lines, body }: AuthAnswer,
  client: { readonly serverName: string; readonly close: boolean; readonly isHead: boolean },
  bodies: ErrorBodies | null,
): { readonly text: string; readonly bodyBytes: number } {
  let head = `HTTP/1.1 ${statusText}\r\nserver: ${client.serverName}\r\ndate: ${new Date().toUTCString()}\r\n`;
  for (const { name, value } of lines) head += `${name}: ${value}\r\n`;
  if (client.close) head += "connection: close\r\n";
  const replaced = bodies?.find(status, null) ?? null;
  const content = replaced?.text ?? body.toString("latin1");
  // RFC 9110 §8.6: no Content-Length with 204; with 304 and for HEAD it would have to be another response's.
  const isBodiless = status === 204 || status === 304;
  if (replaced !== null) head = headWithBody(`${head}\r\n`, replaced);
  else if (isBodiless || client.isHead) head += "\r\n";
  else head += `content-length: ${content.length}\r\n\r\n`;
  const sent = isBodiless || client.isHead ? "" : content;
  return { text: head + sent, bodyBytes: sent.length };
}
