import fc from "fast-check";

// What fast-check itself reports has the seed. An error that nobody caught, or a count that comes too low, has not: so that no
// counterexample is lost, each process whose tests fail says which seed all of its properties had.

const { CREDENCE_FUZZ_SEED, CREDENCE_FUZZ_PATH } = process.env;
const seed = Number(CREDENCE_FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 31));

fc.configureGlobal({ seed, ...(CREDENCE_FUZZ_PATH === undefined ? {} : { path: CREDENCE_FUZZ_PATH }) });
process.on("exit", (code) => {
  if (code !== 0) console.error(`fast-check: CREDENCE_FUZZ_SEED=${seed}`);
});

export default fc;
