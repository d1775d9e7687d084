// Shows the document that the page names. Nothing is loaded from elsewhere: no validator, no fonts.
window.addEventListener("DOMContentLoaded", () => {
  const element = document.getElementById("viewer");
  SwaggerUIBundle({
    url: element.dataset.document,
    domNode: element,
    deepLinking: true,
    validatorUrl: null,
    tryItOutEnabled: true,
    displayRequestDuration: true,
    defaultModelsExpandDepth: 0,
    syntaxHighlight: { activated: true },
    presets: [SwaggerUIBundle.presets.apis],
  });
});
