"""Users of the clients of test_orders.py: `locust -f examples/load/locustfile.py --headless -u 20 -r 10 -t 10s`."""

from locust import constant
from test_orders import TestAsyncOrders, TestOrders

from fake_servers import FakeServer, Response, latency
from pytest_httpconc.load import ContractUser

shop = FakeServer(host="process")
shop.delay(latency.lognormal(median=0.01, sigma=0.4))


@shop.route("POST /orders")
def order(request):
    return Response.json({"placed": request.json()}, status=201)


class OrdersUser(ContractUser):
    """Each has a session of its own."""

    contract = TestOrders
    server = shop
    wait_time = constant(0.05)


class AsyncOrdersUser(ContractUser):
    """All of a process share one session, and its two connections."""

    contract = TestAsyncOrders
    server = shop
    shares_client = True
    wait_time = constant(0.05)
