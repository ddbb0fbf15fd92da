/** Resolves once `isSo`, which is asked every 10 ms; fails with what it waited for after so long. */
export async function until(
  isSo: () => boolean | Promise<boolean>,
  withinMs = 20_000,
  what: string | (() => string | Promise<string>) = String(isSo),
): Promise<void> {
  const end = performance.now() + withinMs;
  while (!(await isSo())) {
    if (performance.now() > end)
      throw new Error(`waited in vain for ${typeof what === "string" ? what : await what()}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
