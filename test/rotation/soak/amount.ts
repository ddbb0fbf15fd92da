// How much is to be done, from the environment. A seed that failed is run again with CREDENCE_SOAK_SEED, and
// CREDENCE_SOAK_SOURCES="a Secret,Consul Connect" leaves the others out.

export const ROTATIONS = Number(process.env.CREDENCE_SOAK_ROTATIONS ?? 20);
export const SEED = Number(process.env.CREDENCE_SOAK_SEED ?? Math.floor(Math.random() * 2 ** 31));
/** Sources; absent: all. */
export const ONLY = process.env.CREDENCE_SOAK_SOURCES?.split(",");
/** Fewer turns say nothing about memory. */
export const LONG = 500;
