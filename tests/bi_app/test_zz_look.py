from __future__ import annotations
import os, time
from pathlib import Path
from tests.bi_app.fix_app import *
from tests.fix_stream import *

def test_look(template, sold, tmp_path, browser, setting):
    from tasks.stream.consume import consume
    from tasks.shop.analyse import analyse
    with filled("carrel_look", template) as name:
        use(name)
        setting(stream_log=sold, stream_lease_s=1)
        consume(stream("retail_sales"), once=True)
        with connect() as c:
            c.execute("insert into silver.retail_sales_duplicates values ('2011-06-01', 5), ('2011-03-12', 2)")
            c.execute("insert into silver.retail_sales_late select 0, -g, '2011-06-30', 'x', timestamptz '2011-06-10 10:00Z' - g * interval '3 day', '1 hour', now(), case when g < 3 then now() end from generate_series(1,20) g")
            c.execute("update silver.retail_sales_by set restated_at = now() where day = '2011-05-05'")
        analyse(stream("retail_sales"))
        out = Path("/tmp/look_retail"); out.mkdir(exist_ok=True)
        go, done = out / "go", out / "done"
        (out / "ready").touch()
        end = time.time() + 4200
        while time.time() < end:
            if not go.exists():
                time.sleep(0.3); continue
            wanted = go.read_text().split(); go.unlink()
            if wanted == ["stop"]: break
            try:
                said = shots(name, out, browser, wanted)
            except Exception as error:
                said = repr(error)
            done.write_text(said)
        use(NONE)


def shots(name, out, browser, wanted):
    use(name)
    port, variables = free_port(), os.environ | environment() | ACCOUNTS
    log, said = out / "app.log", []
    with serving(command(port), port, log, variables) as served:
        for theme, width in (("light", 1280), ("light", 390), ("dark", 1280)):
            if theme[0] + str(width) not in wanted: continue
            ctx = browser.new_context(color_scheme=theme, viewport={"width": width, "height": 900})
            page = ctx.new_page()
            page.on("console", lambda m: said.append(m.text) if m.type == "error" else None)
            page.on("pageerror", lambda e: said.append(str(e)))
            page.goto(f"{served.base}/sign-in")
            page.fill("#email", EMAILS["admin"]); page.fill("#password", PASSWORD); page.press("#password", "Enter")
            page.wait_for_url("**/")  if False else page.wait_for_timeout(1500)
            for path in [w for w in wanted if w[0] == "/"]:
                t = time.time()
                page.goto(f"{served.base}{path}")
                try:
                    page.wait_for_selector("html[data-ready], .blank", timeout=20000)
                except Exception as e:
                    said.append(f"{path}: not ready")
                said.append(f"{path} {theme} {width} {time.time() - t:.1f}")
                page.wait_for_timeout(1200)
                page.screenshot(path=str(out / f"{path[1:].split('?')[0]}_{theme}_{width}.png"), full_page=True)
            ctx.close()
        said.append(log.read_text()[-6000:])
    return chr(10).join(said)
