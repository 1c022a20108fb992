// DefensiveKV's scores: of old slots max(worst, the head's mean) * share; of those that are certain to stay, and of the protected run that ends the head,
// the layer's largest. Certain are the slots of highest mean attention (equal ones: the earlier) that together hold less than `certain` - the layer's
// share of recent slots of the old slots' sum, but no more than `budget` - recent slots.
// worst, mean, share [all heads, stride]; facts [all heads, 5] (defensive_facts.wgsl); start, end [all heads]; scores [all heads, stride].
// A workgroup is a head. Its threshold is searched bit by bit among the floats' bits, in whose order floats that are not negative stand.
struct Params { heads: u32, kvHeads: u32, stride: u32, budget: u32, certain: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> worst: array<f32>;
@group(0) @binding(2) var<storage, read> mean: array<f32>;
@group(0) @binding(3) var<storage, read> share: array<f32>;
@group(0) @binding(4) var<storage, read> facts: array<f32>;
@group(0) @binding(5) var<storage, read> start: array<u32>;
@group(0) @binding(6) var<storage, read> end: array<u32>;
@group(0) @binding(7) var<storage, read_write> scores: array<f32>;

override THREADS: u32;

var<workgroup> sums: array<f32, THREADS>;
var<workgroup> counts: array<u32, THREADS>;

/// A slot's mean attention, without the sign that a zero may have.
fn attention(at: u32, least: f32) -> f32 {
  return abs(mean[at] - least);
}

@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
  let head = group.x;
  let base = head * params.stride + start[head];
  let live = end[head] - start[head];
  let old = u32(facts[5u * head]);
  let level = facts[5u * head + 2u];
  let least = facts[5u * head + 4u];
  var window = 0.0;
  var top = 0.0;
  let layer = head - head % params.kvHeads;
  for (var other = layer; other < layer + params.kvHeads; other++) {
    window += facts[5u * other + 1u];
    top = max(top, facts[5u * other + 3u]);
  }
  let part = params.certain - window / f32(params.kvHeads);
  let recent = live - old;
  let room = max(params.budget, recent) - recent;

  // The largest threshold at which the slots at or above it are too many, or hold too much, to be certain: bit by bit, from the highest.
  var wanted = 0.0;
  var below = 0u;
  var held = 0.0;
  var sure = 0u;
  for (var step = 0u; step <= 32u; step++) {
    // step 0: all slots, for their sum; then bits 30…0; at last the slots at or above the threshold
    var threshold = below + 1u;
    if (step == 0u) { threshold = 0u; } else if (step < 32u) { threshold = below + (1u << (31u - step)); }
    var sum = 0.0;
    var count = 0u;
    for (var slot = lane; slot < old; slot += THREADS) {
      let a = attention(base + slot, least);
      if (bitcast<u32>(a) >= threshold) {
        sum += a;
        count++;
      }
    }
    sums[lane] = sum;
    counts[lane] = count;
    workgroupBarrier();
    for (var half = THREADS / 2u; half > 0u; half /= 2u) {
      if (lane < half) {
        sums[lane] += sums[lane + half];
        counts[lane] += counts[lane + half];
      }
      workgroupBarrier();
    }
    held = sums[0];
    sure = counts[0];
    workgroupBarrier();
    if (step == 0u) {
      wanted = part * held;
    } else if (step < 32u && (held >= wanted || sure > room)) {
      below = threshold;
    }
  }
  // `below` are the bits of the highest attention that is not certain altogether: of slots that have just that, the first may be
  let value = bitcast<f32>(below);
  var ties = 0u;
  if (held < wanted && sure < room) {
    ties = room - sure;
    if (value > 0.0) {
      // the quotient says about how many fit in what is left; the product, exactly
      let left = wanted - held;
      var fits = u32(min(left / value, 1e9)) + 2u;
      while (fits > 0u && !(f32(fits) * value < left)) { fits--; }
      ties = min(ties, fits);
    }
  }

  // every thread a stretch of slots; what stands before it says how many of the ties are left to it
  let stretch = (old + THREADS - 1u) / THREADS;
  let begin = min(lane * stretch, old);
  let until = min(begin + stretch, old);
  var own = 0u;
  for (var slot = begin; slot < until; slot++) { own += u32(bitcast<u32>(attention(base + slot, least)) == below); }
  counts[lane] = own;
  workgroupBarrier();
  for (var step = 1u; step < THREADS; step *= 2u) {
    var before = 0u;
    if (lane >= step) { before = counts[lane - step]; }
    workgroupBarrier();
    counts[lane] += before;
    workgroupBarrier();
  }
  var tie = counts[lane] - own;
  for (var slot = begin; slot < until; slot++) {
    let bits = bitcast<u32>(attention(base + slot, least));
    var stays = bits > below;
    if (bits == below) {
      stays = tie < ties;
      tie++;
    }
    scores[base + slot] = select(max(worst[base + slot] - least, level) * share[base + slot], top, stays);
  }
  for (var slot = old + lane; slot < live; slot += THREADS) { scores[base + slot] = top; }
}
