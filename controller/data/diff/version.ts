/** Raised when a comparison means something else than before: what was kept of an older one is not used then. */
export const DIFF_VERSION = 3;
