// scored[firstHead + h, s] = 1 + rank / LAG for the slots s of partitions firstPartition… of LAG tokens each, which were not scored yet (0): the rank
// within the partition of softmax(deviation of k) + softmax(deviation of v), where deviation is the standard deviation over a row's channels, each
// scaled by the smallest and largest value of the next partition (LagKV).
// keys, values [heads, stride, WIDTH]; source, scored [all heads, stride]; start, end [all heads]. Partition p begins at token sinks + p LAG.
// Workgroups: x over partitions, y over heads: no two of them touch the same slot. Threads look for the slots, then go down the next partition's
// channels, then sixteen share a row.
struct Params { heads: u32, firstHead: u32, stride: u32, sinks: u32, firstPartition: u32, partitions: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> keys: array<stored>;
@group(0) @binding(2) var<storage, read> values: array<stored>;
@group(0) @binding(3) var<storage, read> source: array<i32>;
@group(0) @binding(4) var<storage, read> start: array<u32>;
@group(0) @binding(5) var<storage, read> end: array<u32>;
@group(0) @binding(6) var<storage, read_write> scored: array<f32>;

override THREADS: u32;
override WIDTH: u32;
override HEAD_DIM: u32;
override LAG: u32;
const SHARING = 16u;
const LARGEST = 3.4028234e38;

// First slot of the partition that is not scored yet, first of the next partition, first behind that one.
var<workgroup> bounds: array<atomic<u32>, 3>;
var<workgroup> low: array<f32, HEAD_DIM>;
var<workgroup> scale: array<f32, HEAD_DIM>;
var<workgroup> deviation: array<f32, LAG>;
var<workgroup> total: array<f32, LAG>;
var<workgroup> parts: array<f32, THREADS>;

fn number(ofValues: bool, at: u32) -> f32 {
  if (ofValues) { return f32(values[at]); }
  return f32(keys[at]);
}

/// Sum over the sixteen threads that share a row.
fn shared_sum(lane: u32, own: f32) -> f32 {
  workgroupBarrier();
  parts[lane] = own;
  for (var half = SHARING / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane % SHARING < half) { parts[lane] += parts[lane + half]; }
  }
  workgroupBarrier();
  return parts[lane - lane % SHARING];
}

@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
  let head = params.firstHead + group.y;
  let slots = head * params.stride;
  let token = i32(params.sinks + (params.firstPartition + group.x) * LAG);
  let lag = i32(LAG);
  if (lane < 3u) { atomicStore(&bounds[lane], end[head]); }
  workgroupBarrier();
  for (var slot = start[head] + lane; slot < end[head]; slot += THREADS) {
    let own = source[slots + slot];
    if (own >= token + 2 * lag) { atomicMin(&bounds[2], slot); }
    if (own >= token + lag) { atomicMin(&bounds[1], slot); }
    else if (own >= token) { if (!(scored[slots + slot] > 0.0)) { atomicMin(&bounds[0], slot); } }
  }
  workgroupBarrier();
  let first = atomicLoad(&bounds[0]);
  let next = atomicLoad(&bounds[1]);
  let behind = atomicLoad(&bounds[2]);
  // none where all is scored; what follows runs all the same, as barriers want all threads
  let count = min(LAG, next - min(first, next));
  for (var row = lane; row < LAG; row += THREADS) { total[row] = 0.0; }

  for (var which = 0u; which < 2u; which++) {
    let ofValues = which == 1u;
    let run = group.y * params.stride;
    for (var d = lane; d < HEAD_DIM; d += THREADS) {
      var least = LARGEST;
      var most = -LARGEST;
      if (count > 0u) {
        for (var slot = next; slot < behind; slot++) {
          let x = number(ofValues, (run + slot) * WIDTH + d);
          least = min(least, x);
          most = max(most, x);
        }
      }
      // a channel that does not vary says nothing, and where nothing of the next partition is left, none does
      low[d] = select(0.0, least, most >= least);
      scale[d] = select(0.0, 1.0 / (most - least), most > least);
    }
    workgroupBarrier();
    for (var above = 0u; above < LAG; above += THREADS / SHARING) {
      let row = above + lane / SHARING;
      let at = (run + first + row) * WIDTH;
      var sum = 0.0;
      if (row < count) {
        for (var d = lane % SHARING; d < HEAD_DIM; d += SHARING) { sum += (number(ofValues, at + d) - low[d]) * scale[d]; }
      }
      let mean = shared_sum(lane, sum) / f32(HEAD_DIM);
      sum = 0.0;
      if (row < count) {
        for (var d = lane % SHARING; d < HEAD_DIM; d += SHARING) {
          let x = (number(ofValues, at + d) - low[d]) * scale[d] - mean;
          sum += x * x;
        }
      }
      let squares = shared_sum(lane, sum);
      if (lane % SHARING == 0u && row < LAG) { deviation[row] = sqrt(squares / f32(HEAD_DIM - 1u)); }
    }
    workgroupBarrier();
    // softmax over the partition
    var most = 0.0;
    for (var row = lane; row < count; row += THREADS) { most = max(most, deviation[row]); }
    parts[lane] = most;
    for (var half = THREADS / 2u; half > 0u; half /= 2u) {
      workgroupBarrier();
      if (lane < half) { parts[lane] = max(parts[lane], parts[lane + half]); }
    }
    workgroupBarrier();
    most = parts[0];
    workgroupBarrier();
    var sum = 0.0;
    for (var row = lane; row < count; row += THREADS) { sum += exp(deviation[row] - most); }
    parts[lane] = sum;
    for (var half = THREADS / 2u; half > 0u; half /= 2u) {
      workgroupBarrier();
      if (lane < half) { parts[lane] += parts[lane + half]; }
    }
    workgroupBarrier();
    for (var row = lane; row < count; row += THREADS) { total[row] += exp(deviation[row] - most) / parts[0]; }
    workgroupBarrier();
  }

  for (var row = lane; row < count; row += THREADS) {
    var rank = 0u;
    for (var other = 0u; other < count; other++) { rank += u32(total[other] < total[row]); }
    scored[slots + first + row] = 1.0 + f32(rank) / f32(LAG);
  }
}
