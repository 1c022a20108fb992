/** Every kernel, for the test loop. */
import { advance } from "./forward/advance.ts";
import { argmax } from "./decode/argmax.ts";
import { attentionMass } from "./probe/attention_mass.ts";
import { bestStretch } from "./select/best_stretch.ts";
import { camParts } from "./compensate/cam_parts.ts";
import { camReceive } from "./compensate/cam_receive.ts";
import { centroidJoin } from "./compensate/centroid_join.ts";
import { centroidSeeds } from "./compensate/centroid_seeds.ts";
import { chooseDigit } from "./compensate/choose_digit.ts";
import { chunkMeans } from "./select/chunk_means.ts";
import { compactPositions } from "./compact/compact_positions.ts";
import { coverage } from "./compact/coverage.ts";
import { criticalScores } from "./select/critical_scores.ts";
import { d2oThreshold } from "./compensate/d2o_threshold.ts";
import { defensiveFacts } from "./aggregate/defensive_facts.ts";
import { defensiveScores } from "./aggregate/defensive_scores.ts";
import { expectation } from "./probe/expectation.ts";
import { expectedLeading } from "./probe/expected_leading.ts";
import { expectedLogits } from "./probe/expected_logits.ts";
import { expectedScore } from "./probe/expected_score.ts";
import { expectedSoftmax } from "./probe/expected_softmax.ts";
import { fillRows } from "./forward/fill_rows.ts";
import { flowShares } from "./compensate/flow_shares.ts";
import { gather } from "./compact/gather.ts";
import { gatherRotate } from "./compact/gather_rotate.ts";
import { h2oScores } from "./probe/h2o_scores.ts";
import { heaviestSlots } from "./compensate/heaviest_slots.ts";
import type { AnyKernel } from "./kernel.ts";
import { keydiff } from "./probe/keydiff.ts";
import { knorm } from "./probe/knorm.ts";
import { labelRows } from "./forward/label_rows.ts";
import { indexKeys } from "./forward/index_keys.ts";
import { indexQueries } from "./probe/index_queries.ts";
import { indexScores } from "./probe/index_scores.ts";
import { latentFeatures } from "./compensate/latent_features.ts";
import { latentWrite } from "./compensate/latent_write.ts";
import { lagRank } from "./probe/lag_rank.ts";
import { lagkv } from "./probe/lagkv.ts";
import { layerMean } from "./aggregate/layer_mean.ts";
import { longestRows } from "./compensate/longest_rows.ts";
import { mark } from "./select/mark.ts";
import { massHistogram } from "./compensate/mass_histogram.ts";
import { copyColumns } from "./compact/copy_columns.ts";
import { narrow } from "./compact/narrow.ts";
import { quantiseRows } from "./compact/quantise_rows.ts";
import { widenRows } from "./compact/widen_rows.ts";
import { mergeMass } from "./probe/merge_mass.ts";
import { mergeShares } from "./compensate/merge_shares.ts";
import { momentum } from "./decode/momentum.ts";
import { none } from "./probe/none.ts";
import { normShares } from "./aggregate/norm_shares.ts";
import { poolScores } from "./aggregate/pool_scores.ts";
import { protect } from "./select/protect.ts";
import { queryMoments } from "./forward/query_moments.ts";
import { quotaChoose } from "./allocate/quota_choose.ts";
import { quotaCounts } from "./allocate/quota_counts.ts";
import { random } from "./probe/random.ts";
import { receive } from "./compensate/receive.ts";
import { receiveBounded } from "./compensate/receive_bounded.ts";
import { receiveChains } from "./compensate/receive_chains.ts";
import { receiveMean } from "./compensate/receive_mean.ts";
import { rkvRedundancy } from "./decode/rkv_redundancy.ts";
import { rkvScore } from "./decode/rkv_score.ts";
import { rowNorms } from "./compensate/row_norms.ts";
import { hide } from "./compact/hide.ts";
import { settle } from "./compact/settle.ts";
import { softmaxRows } from "./probe/softmax_rows.ts";
import { splitSlots } from "./compensate/split_slots.ts";
import { spreadParts } from "./select/spread_parts.ts";
import { tokenMass } from "./compensate/token_mass.ts";
import { topK } from "./select/top_k.ts";
import { topSimilar } from "./compensate/top_similar.ts";
import { unitSum } from "./probe/unit_sum.ts";
import { valueNorms } from "./forward/value_norms.ts";
import { valueNormsSum } from "./forward/value_norms_sum.ts";
import { writtenMomentum } from "./decode/written_momentum.ts";
import { writtenQuota } from "./decode/written_quota.ts";
import { writtenRecency } from "./decode/written_recency.ts";

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
  hide,
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
  indexKeys,
  indexQueries,
  indexScores,
  momentum,
  narrow,
  quantiseRows,
  widenRows,
  copyColumns,
  writtenQuota,
  writtenRecency,
  writtenMomentum,
  rkvRedundancy,
  rkvScore,
  argmax,
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
  latentFeatures,
  latentWrite,
];
