/** Every kernel, for the test loop. */
import { advance } from "./advance.ts";
import { append } from "./append.ts";
import { compactPositions } from "./compact_positions.ts";
import { gather } from "./gather.ts";
import { gatherRotate } from "./gather_rotate.ts";
import type { AnyKernel } from "./kernel.ts";
import { knorm } from "./knorm.ts";
import { none } from "./none.ts";
import { random } from "./random.ts";
import { topK } from "./top_k.ts";
import { valueNorms } from "./value_norms.ts";
import { valueNormsSum } from "./value_norms_sum.ts";
import { unitSum } from "./unit_sum.ts";
import { keydiff } from "./keydiff.ts";

export const kernels: readonly AnyKernel[] = [
  append,
  advance,
  topK,
  gather,
  gatherRotate,
  compactPositions,
  none,
  random,
  knorm,
  valueNorms,
  valueNormsSum,
  unitSum,
  keydiff,
];
