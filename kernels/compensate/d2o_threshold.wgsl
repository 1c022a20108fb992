// A head's threshold follows the mean of its evicted slots' best cosines, tau <- (1 - momentum) tau + momentum mean, at first (0) that mean; and
// index[i] = NONE where the cosine is below it: those are dropped.
// likeness, index [heads, stride]; rowCount, receiverCount, threshold [all heads]. A workgroup is a head.
struct Params { heads: u32, firstHead: u32, stride: u32, momentum: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> likeness: array<f32>;
@group(0) @binding(2) var<storage, read> rowCount: array<u32>;
@group(0) @binding(3) var<storage, read> receiverCount: array<u32>;
@group(0) @binding(4) var<storage, read_write> threshold: array<f32>;
@group(0) @binding(5) var<storage, read_write> index: array<u32>;

override THREADS: u32;
// Sums that are added up in the end, whatever the threads: the same bits for any number of them.
const PARTS = 32u;
const NONE = 0xffffffffu;

var<workgroup> sums: array<f32, PARTS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
  let head = params.firstHead + group.x;
  let run = group.x * params.stride;
  let total = rowCount[head];
  if (total == 0u || receiverCount[head] == 0u) { return; }
  for (var part = lane; part < PARTS; part += THREADS) {
    var sum = 0.0;
    for (var i = part; i < total; i += PARTS) { sum += likeness[run + i]; }
    sums[part] = sum;
  }
  let before = threshold[head];
  workgroupBarrier();
  storageBarrier();
  var sum = 0.0;
  for (var part = 0u; part < PARTS; part++) { sum += sums[part]; }
  let now = sum / f32(total);
  let tau = select((1.0 - params.momentum) * before + params.momentum * now, now, before == 0.0);
  if (lane == 0u) { threshold[head] = tau; }
  for (var i = lane; i < total; i += THREADS) {
    if (likeness[run + i] < tau) { index[run + i] = NONE; }
  }
}
