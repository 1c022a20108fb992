// Of every query row: the largest logit and the sum of exp(logit - largest), over the slots that the row sees, for each of `splits` equal stretches of
// the slots; and the logits of the first two and the last two slots. logit = scale * q . k over WIDTH columns: in a wide cache the key's columns HEAD_DIM (its slot's bias) and
// HEAD_DIM + 1 (what hides it) are added.
// queries [firstRow + rows, kvHeads * GROUP * WIDTH]; keys [kvHeads, stride, WIDTH]; start, end [all heads];
// softmax [kvHeads, rows * GROUP, 2 * splits + 4]. Row r of `rows` sees slots start <= slot <= end + behind - rows + r.
// A workgroup takes 4 * ROW_LANES rows (row i is query i / GROUP of head i % GROUP) and a stretch, and walks it in tiles; a thread holds 4 x 4 logits
// and its own running maximum and sum, so that only the end needs the others'.
struct Params {
  kvHeads: u32, firstHead: u32, stride: u32, rows: u32, firstRow: u32, behind: u32, splits: u32, scale: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> queries: array<f32>;
@group(0) @binding(2) var<storage, read> keys: array<stored>;
@group(0) @binding(3) var<storage, read> start: array<u32>;
@group(0) @binding(4) var<storage, read> end: array<u32>;
@group(0) @binding(5) var<storage, read_write> softmax: array<f32>;

override THREADS: u32;
override WIDTH: u32;
override HEAD_DIM: u32;
override GROUP: u32;
override ROW_LANES: u32;
override SLOT_LANES: u32 = THREADS / ROW_LANES;
// Columns of queries and keys in workgroup memory at once, and what is between four rows' columns: one more spreads them over the banks.
const DEPTH = 8u;
const PITCH = 9u;
// The largest of nothing: infinities are not to be relied on.
const NOTHING = -3e38;

// Four rows, and four slots, of a column.
var<workgroup> queryTile: array<vec4f, ROW_LANES * PITCH>;
var<workgroup> keyTile: array<vec4f, SLOT_LANES * PITCH>;
var<workgroup> pairs: array<vec2f, THREADS>;

fn query(i: u32, column: u32, kvHead: u32) -> f32 {
  if (i >= params.rows * GROUP || column >= WIDTH) { return 0.0; }
  // beyond the head's own columns the first is the slot's bias, which a chunk's own attention leaves out and its mass counts; the second hides it
  if (column >= HEAD_DIM) { return select(0.0, 1.0 / params.scale, column <= HEAD_DIM + 1u); }
  let row = params.firstRow + i / GROUP;
  return queries[(row * params.kvHeads * GROUP + kvHead * GROUP + i % GROUP) * WIDTH + column];
}

fn key(slot: u32, until: u32, column: u32, kvHead: u32) -> f32 {
  if (slot >= until || column >= WIDTH) { return 0.0; }
  return f32(keys[(kvHead * params.stride + slot) * WIDTH + column]);
}

/// Largest and sum of two stretches as of one.
fn joined(a: vec2f, b: vec2f) -> vec2f {
  let most = max(a.x, b.x);
  return vec2f(most, a.y * exp(a.x - most) + b.y * exp(b.x - most));
}

@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
  let total = params.rows * GROUP;
  let firstRow = group.x * 4u * ROW_LANES;
  let split = group.y;
  let kvHead = group.z;
  let head = params.firstHead + kvHead;
  let first = start[head];
  let last = end[head] + params.behind;
  // Slots that the tile's last row sees end there; of earlier rows, earlier.
  let newest = (min(firstRow + 4u * ROW_LANES, total) - 1u) / GROUP;
  let seen = max(first + params.rows, last + newest + 1u) - params.rows;
  let stretch = (last - first + params.splits - 1u) / params.splits;
  let begin = first + split * stretch;
  let until = min(begin + stretch, seen);

  let rowLane = lane / SLOT_LANES;
  let slotLane = lane % SLOT_LANES;
  let own = firstRow + 4u * rowLane;
  var sees: array<u32, 4>;
  var largest: array<f32, 4>;
  var sums: array<f32, 4>;
  for (var c = 0u; c < 4u; c++) {
    let i = own + c;
    sees[c] = select(0u, max(first + params.rows, last + i / GROUP + 1u) - params.rows, i < total);
    largest[c] = NOTHING;
    sums[c] = 0.0;
  }
  let words = 2u * params.splits + 4u;

  for (var tile = begin; tile < until; tile += 4u * SLOT_LANES) {
    var dots = array<vec4f, 4>();
    for (var k = 0u; k < WIDTH; k += DEPTH) {
      for (var j = lane; j < ROW_LANES * DEPTH; j += THREADS) {
        let i = firstRow + j / DEPTH * 4u;
        let column = k + j % DEPTH;
        queryTile[j / DEPTH * PITCH + j % DEPTH] = vec4f(
          query(i, column, kvHead), query(i + 1u, column, kvHead), query(i + 2u, column, kvHead), query(i + 3u, column, kvHead)
        );
      }
      for (var j = lane; j < SLOT_LANES * DEPTH; j += THREADS) {
        let slot = tile + j / DEPTH * 4u;
        let column = k + j % DEPTH;
        keyTile[j / DEPTH * PITCH + j % DEPTH] = vec4f(
          key(slot, until, column, kvHead), key(slot + 1u, until, column, kvHead),
          key(slot + 2u, until, column, kvHead), key(slot + 3u, until, column, kvHead)
        );
      }
      workgroupBarrier();
      for (var d = 0u; d < DEPTH; d++) {
        let q = queryTile[rowLane * PITCH + d];
        let s = keyTile[slotLane * PITCH + d];
        dots[0] += q.x * s;
        dots[1] += q.y * s;
        dots[2] += q.z * s;
        dots[3] += q.w * s;
      }
      workgroupBarrier();
    }
    let slot = tile + 4u * slotLane;
    for (var c = 0u; c < 4u; c++) {
      let logits = params.scale * dots[c];
      let limit = min(sees[c], until);
      var most = largest[c];
      for (var s = 0u; s < 4u; s++) { if (slot + s < limit) { most = max(most, logits[s]); } }
      var sum = sums[c] * exp(largest[c] - most);
      for (var s = 0u; s < 4u; s++) {
        let at = slot + s;
        if (at >= limit) { continue; }
        sum += exp(logits[s] - most);
        let edges = (kvHead * total + own + c) * words + 2u * params.splits;
        if (at < first + 2u) { softmax[edges + at - first] = logits[s]; }
        if (at + 2u >= last) { softmax[edges + 4u + at - last] = logits[s]; }
      }
      largest[c] = most;
      sums[c] = sum;
    }
  }

  for (var c = 0u; c < 4u; c++) {
    pairs[lane] = vec2f(largest[c], sums[c]);
    workgroupBarrier();
    for (var half = SLOT_LANES / 2u; half > 0u; half /= 2u) {
      if (slotLane < half) { pairs[lane] = joined(pairs[lane], pairs[lane + half]); }
      workgroupBarrier();
    }
    if (slotLane == 0u && own + c < total) {
      let at = (kvHead * total + own + c) * words + 2u * split;
      softmax[at] = pairs[lane].x;
      softmax[at + 1u] = pairs[lane].y;
    }
    workgroupBarrier();
  }
}
