export { comparePaired } from "./compare.ts";
export { holm } from "./holm.ts";
export type { GateSpec, Outcome, PairedResult, PairedUnit } from "./types.ts";
export { wilson } from "./wilson.ts";
