/** The report's style sheet: system fonts, light and dark after the reader's own setting, one hue for how much was found, eight for policies. */
export const style = `
:root{--page:#ffffff;--ink:#1c2430;--soft:#5b6676;--rule:#dfe4ea;--grid:#e9edf2;--panel:#f7f9fb;
--c0:#1f66c1;--c1:#c2570c;--c2:#0f7f6c;--c3:#a3307f;--c4:#7a6200;--c5:#6246c9;--c6:#b3261e;--c7:#3f6b1f}
@media (prefers-color-scheme:dark){:root{--page:#14181f;--ink:#e6e9ee;--soft:#9aa5b4;--rule:#2c343f;--grid:#262d37;--panel:#1a2029;
--c0:#6eb0ff;--c1:#f79a4b;--c2:#43c9b0;--c3:#f07fc9;--c4:#d9bd3a;--c5:#a994ff;--c6:#ff8279;--c7:#93c965}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:1080px;margin:0 auto;padding:40px 24px 64px}
h1{font-size:28px;line-height:1.2;margin:0 0 4px;letter-spacing:-.01em}
h2{font-size:19px;margin:44px 0 4px;padding-top:20px;border-top:1px solid var(--rule)}
h3{font-size:15px;margin:24px 0 6px}
h4{font-size:13px;margin:18px 0 4px}
.lead,.hint{color:var(--soft);margin:0}
.hint{font-size:13px;margin-bottom:10px}
dl{display:flex;flex-wrap:wrap;gap:8px 28px;margin:20px 0 0}
dt{font-size:12px;color:var(--soft)}
dd{margin:0;font-variant-numeric:tabular-nums}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:4px 18px;padding:0;margin:0 0 8px;font-size:13px}
.legend li{display:flex;align-items:center;gap:6px}
.key{width:28px;height:12px}
.charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,420px),1fr));gap:20px}
.maps,.policies{display:flex;flex-wrap:wrap;gap:18px 26px}
.policies{gap:0 26px}
figure{margin:0}
figcaption{font-weight:600;font-size:13px;margin-bottom:4px}
.maps figcaption{font-weight:400}
figcaption span{font-weight:400;color:var(--soft)}
.charts svg{display:block;width:100%;height:auto;background:var(--panel);border-radius:6px}
svg text{font:11px system-ui,sans-serif;fill:var(--soft)}
svg .axis{font-size:12px}
.grid{stroke:var(--grid)}
.full{stroke:var(--soft);stroke-width:1.5;stroke-dasharray:4 3}
.series path{fill:none;stroke:currentColor;stroke-width:2;stroke-linejoin:round}
.series circle,.series rect,.series polygon{fill:currentColor;stroke:var(--panel);stroke-width:1}
.whisker{stroke:currentColor;opacity:.45}
.s0{color:var(--c0)}.s1{color:var(--c1)}.s2{color:var(--c2)}.s3{color:var(--c3)}.s4{color:var(--c4)}.s5{color:var(--c5)}.s6{color:var(--c6)}.s7{color:var(--c7)}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
.heat{font-size:12px;border-spacing:2px;border-collapse:separate}
.heat th{font-weight:400;color:var(--soft);padding:1px 6px;text-align:right;white-space:nowrap}
.heat thead th{text-align:center}
.heat td{min-width:46px;height:26px;text-align:center;border-radius:3px}
.heat .none{color:var(--soft)}
.h0{background:#eef3fa;color:#111827}
.h1{background:#d8e2ee;color:#111827}
.h2{background:#c2d0e2;color:#111827}
.h3{background:#acbed6;color:#111827}
.h4{background:#96adca;color:#111827}
.h5{background:#809cbe;color:#111827}
.h6{background:#6a8ab2;color:#111827}
.h7{background:#5479a6;color:#ffffff}
.h8{background:#3e679a;color:#ffffff}
.h9{background:#28568e;color:#ffffff}
.h10{background:#124482;color:#ffffff}
@media (prefers-color-scheme:dark){
.h0{background:#222832;color:#ffffff}
.h1{background:#2b3646;color:#ffffff}
.h2{background:#344459;color:#ffffff}
.h3{background:#3e536c;color:#ffffff}
.h4{background:#476180;color:#ffffff}
.h5{background:#506f94;color:#ffffff}
.h6{background:#597da7;color:#ffffff}
.h7{background:#628bba;color:#111827}
.h8{background:#6c9ace;color:#111827}
.h9{background:#75a8e2;color:#111827}
.h10{background:#7eb6f5;color:#111827}
}
.scroll{overflow-x:auto;margin-top:12px}
.figures{font-size:13px;width:100%}
.figures th,.figures td{padding:5px 9px;text-align:right;white-space:nowrap;border-bottom:1px solid var(--rule)}
.figures th{color:var(--soft);font-weight:500}
.figures .left{text-align:left}
.figures .reference td{font-weight:600}
ul{padding-left:18px;color:var(--soft);font-size:13px}
.legend{color:var(--ink)}
code{font:12px/1.6 ui-monospace,Menlo,Consolas,monospace;overflow-wrap:anywhere}
.command{color:var(--soft)}
@media print{main{max-width:none}figure{break-inside:avoid}}
`;
