/** Every kernel, for the test loop. */
import { advance } from "./advance.ts";
import { append } from "./append.ts";
import { camParts } from "./cam_parts.ts";
import { camReceive } from "./cam_receive.ts";
import { centroidJoin } from "./centroid_join.ts";
import { centroidSeeds } from "./centroid_seeds.ts";
import { chooseDigit } from "./choose_digit.ts";
import { compactPositions } from "./compact_positions.ts";
import { d2oThreshold } from "./d2o_threshold.ts";
import { flowShares } from "./flow_shares.ts";
import { gather } from "./gather.ts";
import { gatherRotate } from "./gather_rotate.ts";
import { heaviestSlots } from "./heaviest_slots.ts";
import { longestRows } from "./longest_rows.ts";
import { massHistogram } from "./mass_histogram.ts";
import type { AnyKernel } from "./kernel.ts";
import { receiveChains } from "./receive_chains.ts";
import { mergeShares } from "./merge_shares.ts";
import { receive } from "./receive.ts";
import { receiveBounded } from "./receive_bounded.ts";
import { receiveMean } from "./receive_mean.ts";
import { rowNorms } from "./row_norms.ts";
import { splitSlots } from "./split_slots.ts";
import { tokenMass } from "./token_mass.ts";
import { topK } from "./top_k.ts";
import { topSimilar } from "./top_similar.ts";

export const kernels: readonly AnyKernel[] = [
  append,
  advance,
  topK,
  gather,
  gatherRotate,
  compactPositions,
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
