// Who receives what: the assignments a = i * M + k of a head (row i to receiver index[i, k]) as a chain for every receiver j, ascending, so that sums over
// it have one order; and load[j] = sum over it of the softmax over the M likenesses of row i, by temperature.
// chains [heads, stride * (1 + M)]: at j the receiver's first assignment, at stride + a the one after a; NONE ends a chain.
// index, likeness [heads, stride, M]; load [heads, stride]; rowCount, receiverCount [all heads].
// A thread is a receiver and walks all assignments, which pass through workgroup memory; workgroups: x over receivers, y over heads.
struct Params { heads: u32, firstHead: u32, stride: u32, temperature: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> index: array<u32>;
@group(0) @binding(2) var<storage, read> likeness: array<f32>;
@group(0) @binding(3) var<storage, read> rowCount: array<u32>;
@group(0) @binding(4) var<storage, read> receiverCount: array<u32>;
@group(0) @binding(5) var<storage, read_write> chains: array<u32>;
@group(0) @binding(6) var<storage, read_write> load: array<f32>;

override THREADS: u32;
override M: u32;
const NONE = 0xffffffffu;

var<workgroup> receiver: array<vec4u, THREADS>;
var<workgroup> weight: array<vec4f, THREADS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
  let head = group.y;
  let receivers = receiverCount[params.firstHead + head];
  if (group.x * THREADS >= receivers) { return; }
  let mine = group.x * THREADS + lane;
  let run = head * params.stride;
  let chain = run * (1u + M);
  let total = rowCount[params.firstHead + head];
  var tail = chain + mine; // where the next assignment is written down
  var sum = 0.0;
  for (var first = 0u; first < total; first += THREADS) {
    var to = vec4u(NONE);
    var weights = vec4f(0.0);
    if (first + lane < total) {
      let at = (run + first + lane) * M;
      var all = 0.0;
      for (var k = 0u; k < M; k++) {
        to[k] = index[at + k];
        if (to[k] != NONE) { weights[k] = exp((likeness[at + k] - likeness[at]) / params.temperature); }
        all += weights[k];
      }
      weights /= all;
    }
    receiver[lane] = to;
    weight[lane] = weights;
    workgroupBarrier();
    if (mine < receivers) {
      for (var i = 0u; i < min(THREADS, total - first); i++) {
        let candidates = receiver[i];
        if (!any(candidates == vec4u(mine))) { continue; }
        for (var k = 0u; k < M; k++) {
          if (candidates[k] != mine) { continue; }
          let assignment = (first + i) * M + k;
          chains[tail] = assignment;
          tail = chain + params.stride + assignment;
          sum += weight[i][k];
        }
      }
    }
    workgroupBarrier();
  }
  if (mine < receivers) {
    chains[tail] = NONE;
    load[run + mine] = sum;
  }
}
