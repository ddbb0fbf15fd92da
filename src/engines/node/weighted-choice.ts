/** One of several, each as often as its weight has it; there is at least one. */
export function chooseByWeight<Weighted extends { readonly weight: number }>(
  choices: readonly Weighted[],
): Weighted {
  if (choices.length === 1) return choices[0] as Weighted;
  let total = 0;
  for (const { weight } of choices) total += weight;
  let point = Math.random() * total;
  for (const choice of choices) {
    point -= choice.weight;
    if (point < 0) return choice;
  }
  return choices[choices.length - 1] as Weighted;
}
