/** Why no request has this host, which is in lower case; null where one may. */
export function whyNoHost(host: string): string | null {
  if (host.includes("*")) return "no request has a * in its host";
  if (/\.(?::|$)/.test(host)) return "the dot at the end of a request's host is taken away before";
  if (/[^a-z0-9._:[\]-]/.test(host)) return "no request has such a character in its host";
  return null;
}

/** Why no request has this path, or for a prefix one that begins with it; null where one may. Requests' paths are normalised before. */
export function whyNoPath(path: string, isWhole: boolean): string | null {
  if (path.includes("?")) return "a request's path ends before its query";
  if (/[^!-~]|["#<>^`{|}]/.test(path)) return "such a character is percent-encoded in a request's path";
  if (path.includes("\\")) return "a \\ in a request's path is read as /";
  if (/\/\.{1,2}(?:;[^/]*)?\//.test(path) || (isWhole && /\/\.{1,2}(?:;[^/]*)?$/.test(path)))
    return "dot segments of a request's path are resolved before";
  const [unreserved] = /%(?:2d|2e|3\d|4[1-9a-f]|5[0-9af]|6[1-9a-f]|7[0-9ae])/i.exec(path) ?? [];
  return unreserved === undefined ? null : `${unreserved} of a request's path is decoded before`;
}
