/** Every kernel, for the test loop. */
import { advance } from "./advance.ts";
import { append } from "./append.ts";
import { compactPositions } from "./compact_positions.ts";
import { expectation } from "./expectation.ts";
import { expectedLeading } from "./expected_leading.ts";
import { expectedLogits } from "./expected_logits.ts";
import { expectedMass } from "./expected_mass.ts";
import { expectedScore } from "./expected_score.ts";
import { expectedSoftmax } from "./expected_softmax.ts";
import { gather } from "./gather.ts";
import { gatherRotate } from "./gather_rotate.ts";
import type { AnyKernel } from "./kernel.ts";
import { keydiff } from "./keydiff.ts";
import { knorm } from "./knorm.ts";
import { lagRank } from "./lag_rank.ts";
import { lagkv } from "./lagkv.ts";
import { momentum } from "./momentum.ts";
import { none } from "./none.ts";
import { queryMoments } from "./query_moments.ts";
import { random } from "./random.ts";
import { rkvRedundancy } from "./rkv_redundancy.ts";
import { rkvScore } from "./rkv_score.ts";
import { topK } from "./top_k.ts";
import { unitSum } from "./unit_sum.ts";
import { valueNorms } from "./value_norms.ts";
import { valueNormsSum } from "./value_norms_sum.ts";
import { writtenMomentum } from "./written_momentum.ts";
import { writtenQuota } from "./written_quota.ts";
import { writtenRecency } from "./written_recency.ts";

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
  queryMoments,
  expectation,
  expectedLogits,
  expectedSoftmax,
  expectedScore,
  expectedLeading,
  expectedMass,
  lagRank,
  lagkv,
  momentum,
  writtenQuota,
  writtenRecency,
  writtenMomentum,
  rkvRedundancy,
  rkvScore,
];
