"""A login handler that a user wrote for Flower."""

from tornado.web import RequestHandler


class Handler(RequestHandler):
    def get(self) -> None:
        self.redirect("/")
