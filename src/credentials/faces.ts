import type { CredentialKind, CredentialOrigin } from "./credential.ts";
import { Face } from "./face.ts";

/** The faces that there are: of each name at most one of a kind. */
export class Faces {
  readonly #faces = new Map<string, Face>();
  readonly #staples = new Set<Face>();
  /** No lower than the generation of any face removed: engines keep contexts and sessions by name and generation. */
  #retiredGeneration = 0;

  get(kind: CredentialKind, name: string): Face | undefined {
    return this.#faces.get(`${kind} ${name}`);
  }

  /** The one that there is, or a new one. */
  made(kind: CredentialKind, name: string, origin: CredentialOrigin): Face {
    const known = this.get(kind, name);
    if (known !== undefined) {
      known.origin = origin;
      return known;
    }
    const face = new Face(kind, name, origin, this.#retiredGeneration);
    this.#faces.set(`${kind} ${name}`, face);
    if (kind === "staple") this.#staples.add(face);
    return face;
  }

  delete(face: Face): void {
    face.cancelTimer();
    this.#faces.delete(`${face.kind} ${face.name}`);
    this.#staples.delete(face);
    this.#retiredGeneration = Math.max(this.#retiredGeneration, face.generation);
  }

  /** In the order in which they came. */
  [Symbol.iterator](): IterableIterator<Face> {
    return this.#faces.values();
  }

  /** The same, with nothing made for each: there are thousands, and every change asks all of them. */
  forEach(visit: (face: Face) => void): void {
    this.#faces.forEach(visit);
  }

  get staples(): ReadonlySet<Face> {
    return this.#staples;
  }
}
