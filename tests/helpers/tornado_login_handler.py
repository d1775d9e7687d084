"""A login handler as somebody may have written it for Flower."""

from tornado.web import RequestHandler


class Handler(RequestHandler):
    def get(self) -> None:
        self.redirect("/")
