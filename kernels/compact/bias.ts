/** The bias of slots that nothing shall attend to, as in `core/gpu_cache.ts`: finite, as infinities less infinities are none. */
export const HIDDEN = -1e9;
