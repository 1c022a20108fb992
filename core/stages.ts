/** Every variant of every stage, by the name that users write. The first of a stage is its default. */
import { defensive } from "./aggregate/defensive.ts";
import { layerMean } from "./aggregate/layer_mean.ts";
import { max } from "./aggregate/max.ts";
import { mean } from "./aggregate/mean.ts";
import { meanMaxpool } from "./aggregate/mean_maxpool.ts";
import { meanUnpooled } from "./aggregate/mean_unpooled.ts";
import { none as unpooled } from "./aggregate/none.ts";
import { ada } from "./allocate/ada.ts";
import { global } from "./allocate/global.ts";
import { layer } from "./allocate/layer.ts";
import { pyramid } from "./allocate/pyramid.ts";
import { uniform } from "./allocate/uniform.ts";
import { cam } from "./compensate/cam.ts";
import { centroids } from "./compensate/centroids.ts";
import { d2o } from "./compensate/d2o.ts";
import { drop } from "./compensate/drop.ts";
import { flow } from "./compensate/flow.ts";
import { flowAdd } from "./compensate/flow_add.ts";
import { flowConvex } from "./compensate/flow_convex.ts";
import { latentMemory } from "./compensate/latent_memory.ts";
import { merge } from "./compensate/merge.ts";
import { h2o } from "./decode/h2o.ts";
import { keep } from "./decode/keep.ts";
import { moment } from "./decode/moment.ts";
import { momentRecent } from "./decode/moment_recent.ts";
import { recency } from "./decode/recency.ts";
import { rkv } from "./decode/rkv.ts";
import { tova } from "./decode/tova.ts";
import { expected } from "./probe/expected.ts";
import { expectedMass } from "./probe/expected_mass.ts";
import { h2o as h2oProbe } from "./probe/h2o.ts";
import { judgeq } from "./probe/judgeq.ts";
import { indexer } from "./probe/indexer.ts";
import { keydiff } from "./probe/keydiff.ts";
import { knorm } from "./probe/knorm.ts";
import { kvzip } from "./probe/kvzip.ts";
import { lagkv } from "./probe/lagkv.ts";
import { lookahead } from "./probe/lookahead.ts";
import { metasoft } from "./probe/metasoft.ts";
import { none } from "./probe/none.ts";
import { question } from "./probe/question.ts";
import { random } from "./probe/random.ts";
import { role } from "./probe/role.ts";
import { tova as tovaProbe } from "./probe/tova.ts";
import { window } from "./probe/window.ts";
import { window32 } from "./probe/window_32.ts";
import { none as nothing } from "./recall/none.ts";
import { quote } from "./recall/quote.ts";
import { chunks } from "./select/chunks.ts";
import { critical } from "./select/critical.ts";
import { spread } from "./select/spread.ts";
import { topk } from "./select/topk.ts";

export const stages = {
  probe: {
    question,
    window,
    "window-32": window32,
    none,
    role,
    judgeq,
    metasoft,
    lookahead,
    kvzip,
    tova: tovaProbe,
    h2o: h2oProbe,
    expected,
    "expected-mass": expectedMass,
    knorm,
    keydiff,
    lagkv,
    indexer,
    random,
  },
  aggregate: {
    max,
    mean,
    none: unpooled,
    defensive,
    "mean-unpooled": meanUnpooled,
    "mean-maxpool": meanMaxpool,
    "layer-mean": layerMean,
  },
  allocate: { uniform, pyramid, ada, layer, global },
  select: { topk, spread, critical, chunks },
  compensate: {
    drop,
    flow,
    "flow-convex": flowConvex,
    "flow-add": flowAdd,
    centroids,
    merge,
    d2o,
    cam,
    "latent-memory": latentMemory,
  },
  recall: { none: nothing, quote },
  decode: { keep, recency, h2o, tova, rkv, moment, "moment-recent": momentRecent },
};

export type Stage = keyof typeof stages;
