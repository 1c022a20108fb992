/** Every kernel, for the test loop. */
import { advance } from "./advance.ts";
import { attentionMass } from "./attention_mass.ts";
import { bestStretch } from "./best_stretch.ts";
import { camParts } from "./cam_parts.ts";
import { camReceive } from "./cam_receive.ts";
import { centroidJoin } from "./centroid_join.ts";
import { centroidSeeds } from "./centroid_seeds.ts";
import { chooseDigit } from "./choose_digit.ts";
import { chunkMeans } from "./chunk_means.ts";
import { compactPositions } from "./compact_positions.ts";
import { coverage } from "./coverage.ts";
import { criticalScores } from "./critical_scores.ts";
import { d2oThreshold } from "./d2o_threshold.ts";
import { defensiveFacts } from "./defensive_facts.ts";
import { defensiveScores } from "./defensive_scores.ts";
import { expectation } from "./expectation.ts";
import { expectedLeading } from "./expected_leading.ts";
import { expectedLogits } from "./expected_logits.ts";
import { expectedScore } from "./expected_score.ts";
import { expectedSoftmax } from "./expected_softmax.ts";
import { fillRows } from "./fill_rows.ts";
import { flowShares } from "./flow_shares.ts";
import { gather } from "./gather.ts";
import { gatherRotate } from "./gather_rotate.ts";
import { h2oScores } from "./h2o_scores.ts";
import { heaviestSlots } from "./heaviest_slots.ts";
import type { AnyKernel } from "./kernel.ts";
import { keydiff } from "./keydiff.ts";
import { knorm } from "./knorm.ts";
import { labelRows } from "./label_rows.ts";
import { lagRank } from "./lag_rank.ts";
import { lagkv } from "./lagkv.ts";
import { layerMean } from "./layer_mean.ts";
import { longestRows } from "./longest_rows.ts";
import { mark } from "./mark.ts";
import { massHistogram } from "./mass_histogram.ts";
import { mergeMass } from "./merge_mass.ts";
import { mergeShares } from "./merge_shares.ts";
import { momentum } from "./momentum.ts";
import { none } from "./none.ts";
import { normShares } from "./norm_shares.ts";
import { poolScores } from "./pool_scores.ts";
import { protect } from "./protect.ts";
import { queryMoments } from "./query_moments.ts";
import { quotaChoose } from "./quota_choose.ts";
import { quotaCounts } from "./quota_counts.ts";
import { random } from "./random.ts";
import { receive } from "./receive.ts";
import { receiveBounded } from "./receive_bounded.ts";
import { receiveChains } from "./receive_chains.ts";
import { receiveMean } from "./receive_mean.ts";
import { rkvRedundancy } from "./rkv_redundancy.ts";
import { rkvScore } from "./rkv_score.ts";
import { rowNorms } from "./row_norms.ts";
import { settle } from "./settle.ts";
import { softmaxRows } from "./softmax_rows.ts";
import { splitSlots } from "./split_slots.ts";
import { spreadParts } from "./spread_parts.ts";
import { tokenMass } from "./token_mass.ts";
import { topK } from "./top_k.ts";
import { topSimilar } from "./top_similar.ts";
import { unitSum } from "./unit_sum.ts";
import { valueNorms } from "./value_norms.ts";
import { valueNormsSum } from "./value_norms_sum.ts";
import { writtenMomentum } from "./written_momentum.ts";
import { writtenQuota } from "./written_quota.ts";
import { writtenRecency } from "./written_recency.ts";

export const kernels: readonly AnyKernel[] = [
  labelRows,
  fillRows,
  advance,
  protect,
  quotaCounts,
  quotaChoose,
  topK,
  mark,
  criticalScores,
  spreadParts,
  chunkMeans,
  bestStretch,
  gather,
  gatherRotate,
  compactPositions,
  settle,
  coverage,
  softmaxRows,
  attentionMass,
  poolScores,
  mergeMass,
  h2oScores,
  layerMean,
  normShares,
  defensiveFacts,
  defensiveScores,
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
  lagRank,
  lagkv,
  momentum,
  writtenQuota,
  writtenRecency,
  writtenMomentum,
  rkvRedundancy,
  rkvScore,
  splitSlots,
  rowNorms,
  topSimilar,
  receiveChains,
  flowShares,
  receive,
  massHistogram,
  chooseDigit,
  heaviestSlots,
  centroidSeeds,
  centroidJoin,
  mergeShares,
  d2oThreshold,
  receiveMean,
  longestRows,
  receiveBounded,
  camParts,
  camReceive,
  tokenMass,
];
