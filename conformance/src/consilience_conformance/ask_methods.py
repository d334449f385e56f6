"""The four methods of asks by their full names, without a leading slash."""

from __future__ import annotations

ASK = "consilience.v1.AskService/Ask"
RESUME = "consilience.v1.AskService/ResumeAnswer"
GET = "consilience.v1.AskService/GetAnswer"
CANCEL = "consilience.v1.AskService/CancelAnswer"
