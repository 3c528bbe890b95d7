/**
 * Bounds of Gopher's quality and repetition filters (Rae et al. 2021, arXiv:2112.11446, appendix A1.1). They were
 * chosen for web pages, so that nothing of it happens unless a step asks for it.
 */
export const GOPHER = {
  minMeanWordLength: 3,
  maxMeanWordLength: 10,
  maxSymbolShare: 0.1,
  minAlphabeticShare: 0.8,
  maxBulletLineShare: 0.9,
  maxEllipsisLineShare: 0.3,
  maxDuplicateLineShare: 0.3,
  repetition: true,
};
