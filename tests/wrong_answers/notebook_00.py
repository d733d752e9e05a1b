"""Wrong answers to the exercises of notebook 00, each with a part of the message that it must get."""

_SIX = """answers = {
    "python": 18, "conditional": 0.6, "logarithm": 2.079, "derivative": -0.5, "shape": (8, 300), "gradient": 12,
}"""


def _but(name: str, value: str) -> str:
    return f"{_SIX}\nanswers[{name!r}] = {value}"


def _step(*lines: str) -> str:
    return "\n    ".join(["def training_step(model, batch, optimizer):", *lines])


WRONG = {
    "training_step": [
        # what the printed code does once an optimizer exists
        (_step("model.train()", "loss = model(**batch).loss", "loss.backward()", "optimizer.step()",
               "return loss.item()"), "because gradients add up"),
        (_step("model.train()", "optimizer.zero_grad()", "loss = model(**batch).loss", "loss.backward()",
               "return loss.item()"), "optimizer.step() is missing"),
        (_step("model.train()", "optimizer.zero_grad()", "loss = model(**batch).loss", "optimizer.step()",
               "return loss.item()"), "loss.backward() is missing"),
        (_step("model.train()", "loss = model(**batch).loss", "optimizer.step()", "loss.backward()",
               "optimizer.zero_grad()", "return loss.item()"), "comes before loss.backward()"),
        (_step("model.train()", "loss = model(**batch).loss", "loss.backward()", "optimizer.zero_grad()",
               "optimizer.step()", "return loss.item()"), "the step has nothing to use"),
        (_step("optimizer.zero_grad()", "loss = model(**batch).loss", "loss.backward()", "optimizer.step()",
               "return loss.item()"), "in evaluation mode"),
        (_step("model.train()", "optimizer.zero_grad()", "loss = model(**batch).loss", "loss.backward()",
               "optimizer.step()", "return loss"), "holds the whole graph"),
        (_step("model.train()", "optimizer.zero_grad()", "model(**batch).loss.backward()", "optimizer.step()",
               "return model(**batch).loss.item()"), "the loss after the step"),
        (_step("model.train()", "own = torch.optim.SGD(model.parameters(), lr=0.1)", "loss = model(**batch).loss",
               "loss.backward()", "own.step()", "return loss.item()"), "another optimizer"),
        (_step("model.train()", "optimizer.zero_grad()", "loss = model(batch).loss", "loss.backward()",
               "optimizer.step()", "return loss.item()"), "training_step raised TypeError"),
    ],
    "prerequisites": [
        (_but("python", "45"), "without the condition"),
        (_but("python", "4"), "counts the numbers"),
        (_but("conditional", "0.75"), "P(she | nurse)"),
        (_but("conditional", "0.3"), "out of all stories"),
        (_but("logarithm", "3"), "in bits"),
        (_but("logarithm", "-2.079"), "minus the logarithm"),
        (_but("derivative", "0.5"), "the sign is wrong"),
        (_but("derivative", "0.25"), "the derivative of the sigmoid itself"),
        (_but("shape", "(8, 24, 300)"), "the axis of positions is gone"),
        (_but("shape", "(24, 300)"), "would pick the first text"),
        (_but("gradient", "6"), "gradients add up until they are cleared"),
        (_but("gradient", "9"), "the value of x squared"),
        (_but("gradient", "'twelve'"), "Gradient: gradient should be numeric"),
        (_but("gradient", "6") + "\nanswers['python'] = 45", "4 of 6 are right"),
    ],
    "sentences_needed": [
        ("answer = 62", "twice what is asked"),
        ("answer = 385", "a share of one half"),
        ("answer = 984", "half of what is allowed"),
        ("answer = 32", "square root of the number"),
        ("answer = 600", "more than enough"),
        ("answer = 150", "still wider than 0.10"),
    ],
}  # fmt: skip
