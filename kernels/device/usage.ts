/** WebGPU's flag values: not every runtime has them as globals, and none as types of TypeScript's own. */

export const BUFFER = {
  MAP_READ: 0x1,
  COPY_SRC: 0x4,
  COPY_DST: 0x8,
  UNIFORM: 0x40,
  STORAGE: 0x80,
} as const;

/** What a buffer needs that kernels and ONNX Runtime both use. */
export const STORAGE = BUFFER.STORAGE | BUFFER.COPY_SRC | BUFFER.COPY_DST;

export const MAP_MODE_READ = 0x1;
export const SHADER_STAGE_COMPUTE = 0x4;
