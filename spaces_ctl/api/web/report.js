// The form of `/s/…/clips/…/report`: sends what it says, as whoever is logged in.
const form = document.querySelector("form");
const told = document.querySelector("[role=status]");

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector("button");
  button.disabled = true;
  try {
    const csrf = await fetch("/api/v1/me/csrf", { cache: "no-store" });
    if (!csrf.ok) throw new Error(csrf.status === 401 ? "Sign in first." : "That did not work. Try again later.");
    const answer = await fetch(form.dataset.path, {
      method: "POST",
      headers: { "content-type": "application/json", "x-csrf-token": (await csrf.json()).token },
      body: JSON.stringify(Object.fromEntries(new FormData(form))),
    });
    if (!answer.ok) throw new Error((await answer.json()).detail);
    told.textContent = "Thank you. Somebody will look at it.";
  } catch (error) {
    told.textContent = error.message;
    button.disabled = false;
  }
});
