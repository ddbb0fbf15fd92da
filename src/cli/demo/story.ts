export interface Places {
  /** What was asked of the gateway. */
  readonly url: string;
  readonly diagnostics: string;
  readonly upstream: string;
  readonly gatewayFiles: string;
  readonly secret: string;
}

export interface Answer {
  readonly status: number;
  readonly body: string;
}

/** What the demo prints: where things are, what happened, and what to try. */
export function story(places: Places, answer: Answer, stays: boolean): string {
  const { url, diagnostics, upstream, gatewayFiles, secret } = places;
  const happened = `
  gateway       ${new URL(url).origin}   reads ${gatewayFiles}/
  diagnostics   ${diagnostics}
  upstream      ${upstream}   answers only whoever shows a certificate of the demo's CA

  One request was made:   GET ${url}
  It was answered ${answer.status}:

${answer.body.trimEnd().replace(/^/gm, "    ")}
`;
  if (!stays) return `${happened}\n`;
  return `${happened}
  Try next

    curl ${url}
    curl -k ${upstream}/                              # past the gateway, without a certificate: refused

  Break it: take the Secret away. The route answers 503 with an id and sends nothing upstream

    mv ${secret} ${secret}.away; sleep 1
    curl -i ${url}

  Ask what an id stands for (or paste it into the diagnostics page)

    curl "${diagnostics}?json=true&failure=$(curl -s ${url} | sed 's/.*"id":"//; s/".*//')"

  Mend it

    mv ${secret}.away ${secret}; sleep 1
    curl ${url}

  Spoil the key: the good one stays in use, and the diagnostics say so

    cp ${secret} ${secret}.good
    sed -i.away 's/tls.key: .*/tls.key: bm8ga2V5/' ${secret}; sleep 1
    curl ${url}
    curl "${diagnostics}?json=true&filter=errors"
    mv ${secret}.good ${secret}

  Ctrl-C ends all of it.

`;
}
