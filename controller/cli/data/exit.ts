/** What `slipway data` ends with, as `slipway eval` does. */
export const EXIT = { good: 0, fault: 1, error: 2, unknown: 3 } as const;
