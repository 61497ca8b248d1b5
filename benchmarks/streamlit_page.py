"""The overview as one would write it in Streamlit, for `benchmarks/page.py`; same figures.

Hourly counts and monthly titles are cached as frames, figures are Plotly.
"""

import os

import pandas as pd
import plotly.express as px
import psycopg
import streamlit as st

PERIODS = {"30 days": 30, "90 days": 90, "This year": 304, "12 months": 365, "All": 1096}


@st.cache_data
def read(query: str) -> pd.DataFrame:
    with psycopg.connect(os.environ["BENCH_DATABASE"]) as connection:
        cursor = connection.execute(query)
        return pd.DataFrame(cursor.fetchall(), columns=[c.name for c in cursor.description])


@st.cache_data
def hours() -> pd.DataFrame:
    frame = read(
        "select branch_code, day, hour, checkouts::int, renewals::int, returns::int,"
        " in_house_uses::int from gold.library_circulation"
    )
    return frame.assign(
        day=pd.to_datetime(frame["day"]), branch_code=frame["branch_code"].astype("category")
    )


@st.cache_resource
def months() -> pd.DataFrame:
    frame = read("select month, title_code, checkouts::int from gold.library_title_months_public")
    return frame.assign(
        month=pd.to_datetime(frame["month"]), title_code=frame["title_code"].astype("category")
    )


@st.cache_resource
def titles() -> pd.DataFrame:
    return read("select title_code, title, author from gold.library_titles").set_index("title_code")


st.set_page_config(layout="wide")
st.title("Circulation")
period = st.radio("Period", PERIODS, index=3, horizontal=True)
branches = st.multiselect("Branches", sorted(hours()["branch_code"].unique()))
whole = hours()
last = whole["day"].max()
length = pd.Timedelta(days=PERIODS[period])
start = last - length + pd.Timedelta(days=1)
if branches:
    whole = whole[whole["branch_code"].isin(branches)]
now = whole[whole["day"] >= start]
before = whole[(whole["day"] < start) & (whole["day"] >= start - length)]
MEASURES = ["checkouts", "renewals", "returns", "in_house_uses"]
for column, name in zip(st.columns(4), MEASURES, strict=True):
    value, earlier = int(now[name].sum()), int(before[name].sum())
    column.metric(name, f"{value:,}", f"{(value / earlier - 1) * 100:.1f} %" if earlier else None)
daily = now.groupby("day", as_index=False)["checkouts"].sum()
daily["mean"] = daily["checkouts"].rolling(7, min_periods=1).mean()
figure = px.bar(daily, x="day", y="checkouts")
figure.add_scatter(x=daily["day"], y=daily["mean"])
figure.update_xaxes(rangeslider_visible=True)
st.plotly_chart(figure)
left, right = st.columns(2)
busy = now.assign(weekday=now["day"].dt.weekday).pivot_table(
    index="weekday", columns="hour", values="checkouts", aggfunc="sum"
)
left.plotly_chart(px.imshow(busy))
by_branch = now.groupby("branch_code", as_index=False, observed=True)["checkouts"].sum()
right.plotly_chart(px.bar(by_branch.sort_values("checkouts"), x="checkouts", y="branch_code"))
st.subheader("Top titles")
lent = months()
chosen = lent[lent["month"] >= start.replace(day=1)]
top = chosen.groupby("title_code", observed=True)["checkouts"].sum().nlargest(100)
st.dataframe(titles().loc[list(top.index)].assign(checkouts=top.to_numpy()))
st.markdown(f"<span class='bench'>{period}</span>", unsafe_allow_html=True)
