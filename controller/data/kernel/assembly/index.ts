export { block, flatLine, found, hold, names } from "./flat";
export { bands, reserve, shingles, text } from "./memory";
export { distinct, shared } from "./sets";
export { shingle } from "./shingles";
export { sketch } from "./sketch";
