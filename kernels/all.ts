/** Every kernel, for the test loop. */
import { advance } from "./advance.ts";
import { bestStretch } from "./best_stretch.ts";
import { chunkMeans } from "./chunk_means.ts";
import { compactPositions } from "./compact_positions.ts";
import { coverage } from "./coverage.ts";
import { criticalScores } from "./critical_scores.ts";
import { fillRows } from "./fill_rows.ts";
import { gather } from "./gather.ts";
import { gatherRotate } from "./gather_rotate.ts";
import type { AnyKernel } from "./kernel.ts";
import { labelRows } from "./label_rows.ts";
import { mark } from "./mark.ts";
import { protect } from "./protect.ts";
import { quotaChoose } from "./quota_choose.ts";
import { quotaCounts } from "./quota_counts.ts";
import { settle } from "./settle.ts";
import { spreadParts } from "./spread_parts.ts";
import { topK } from "./top_k.ts";

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
];
