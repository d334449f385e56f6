"""What the demo shows about money: the price before the question, the receipt after the answer."""

from rich.console import Console

from consilience.cli.printing import facts_table
from consilience.client import AskResult
from consilience.client.payments import WalletSession
from consilience.payments import Amount, Budget, Quote
from consilience.payments.prices import tariff_words


def show_price(quote: Quote, *, budget: Budget, console: Console) -> None:
    """Shows what a node asks for its answers, and what the asker is ready to pay."""
    facts = [("price", "nothing")]
    if quote.tariff is not None:
        most = Amount(quote.max_charge, quote.tariff.asset)
        until = f"{quote.expire_time:%H:%M:%S} UTC"
        facts = [("price", tariff_words(quote.tariff)), ("it holds", f"for {most} at most an answer, until {until}")]
    facts.append(("budget", f"{budget.per_ask} for an answer, {budget.per_day} for a day; TEST has no value"))
    console.print(facts_table(facts))


def show_receipt(result: AskResult, *, session: WalletSession, console: Console) -> None:
    """Shows what an answer has cost, and how the account stands that it was paid out of."""
    usage, asset = result.usage, session.terms.value.asset
    facts = [("charged", f"{result.cost} for {usage.input_tokens} tokens read and {usage.output_tokens} written")]
    if result.receipt is not None:
        value = result.receipt.value
        named = f"question {value.ask_digest.hex()[:16]} and answer {value.answer_digest.hex()[:16]}"
        facts.append(("receipt", f"number {value.number}, for {named}, signed by the node"))
    ahead = Amount(session.authorized, asset)
    facts.append(("vouchers", f"signed up to {ahead} in all, one window of text ahead of what had come"))
    facts.append(("account", f"{Amount(session.spent, asset)} spent of {Amount(session.available, asset)}"))
    console.print(facts_table(facts))
