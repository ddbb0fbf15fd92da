/**
 * Text for a terminal. Of escape sequences only colours pass, and those where `colours` are wanted: what stands in a file,
 * a certificate or a request must neither steer a terminal nor hide what is said about it.
 */
export function harmless(text: string, colours: boolean): string {
  return text.replace(colours ? STEERING_BUT_COLOURS : STEERING, "\ufffd");
}

/** Controls of ASCII and Latin-1 but for tab and line feed, line separators, and what turns the direction of writing. */
const STEERING = /[\0-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
const STEERING_BUT_COLOURS = new RegExp(`(?!\\x1b\\[(?:[0-2]|[349]\\d)m)${STEERING.source}`, "g");
