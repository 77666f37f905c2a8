"""Every word support writes to people: by template, then by language, a subject and a text.

`{amount}`, `{pay_by}`, `{reason}` and the like are put in by `texts.render`; nothing else of a fact is.
"""

Words = dict[str, tuple[str, str]]

GREETING = {"en": "Dear {name},", "zh-CN": "{name}，您好："}
SIGNATURE = {
    "en": "-- \nCaravan · {url}\nThis message was sent by a machine; answers to it are not read.",
    "zh-CN": "-- \nCaravan · {url}\n本邮件由系统自动发送，请勿回复。",
}

TEMPLATES: dict[str, Words] = {
    "shop_approved": {
        "en": ("Your shop may sell", "Your shop is open. The terms it was approved on hold from now on."),
        "zh-CN": ("您的店铺已通过审核", "您的店铺可以营业了，审核通过的条款即刻生效。"),
    },
    "shop_suspended": {
        "en": ("Your shop is suspended", "Your shop may not take orders for now. Orders already paid are to be sent."),
        "zh-CN": ("您的店铺已被暂停", "您的店铺暂时不能接单，已付款的订单仍须发货。"),
    },
    "webhook_disabled": {
        "en": (
            "A webhook was switched off",
            "Nothing is sent to your webhook at {host} any more: {reason}. What waits for it is kept for 30 days;"
            " enable it when it is well again.",
        ),
        "zh-CN": (
            "推送地址已停用",
            "已停止向您位于 {host} 的推送地址发送消息：{reason}。未送达的消息保留 30 天，恢复后请重新启用。",
        ),
    },
    "product_reviewed": {
        "en": ("A product was reviewed", "The review of one of your products ended: {decision}."),
        "zh-CN": ("商品审核结果", "您的一件商品审核结果：{decision}。"),
    },
    "stock_low": {
        "en": ("{sku} is running out", "Only {available} of {sku} can still be sold from one of your warehouses."),
        "zh-CN": ("{sku} 库存不足", "您的一个仓库中 {sku} 仅剩 {available} 件可售。"),
    },
    "order_placed": {
        "en": (
            "Order {order_no} received",
            "We have your order {order_no} for {amount} and are setting the goods aside.",
        ),
        "zh-CN": ("订单 {order_no} 已提交", "我们已收到您的订单 {order_no}，金额 {amount}，正在为您备货。"),
    },
    "payment_requested": {
        "en": ("Please pay {amount}", "Your goods are set aside. Please pay {amount} for {group_no} by {pay_by}."),
        "zh-CN": ("请支付 {amount}", "商品已为您预留，请在 {pay_by} 前支付 {group_no} 的 {amount}。"),
    },
    "price_adjusted": {
        "en": (
            "New price for order {order_no}",
            "The seller changed the price of order {order_no}: it is {amount} now.",
        ),
        "zh-CN": ("订单 {order_no} 已改价", "卖家修改了订单 {order_no} 的价格，现为 {amount}。"),
    },
    "payment_confirmed": {
        "en": ("Payment received", "We have received {amount} for {group_no}. Thank you."),
        "zh-CN": ("付款成功", "我们已收到您为 {group_no} 支付的 {amount}，谢谢。"),
    },
    "order_paid": {
        "en": (
            "Order {order_no} is paid",
            "Your order {order_no} is paid: {amount} is held for you until it is received.",
        ),
        "zh-CN": ("订单 {order_no} 已付款", "买家已为订单 {order_no} 付款 {amount}，款项由平台代管至确认收货。"),
    },
    "payment_failed": {
        "en": (
            "A payment failed",
            "A payment for {group_no} failed. You may try again or pay otherwise.",
        ),
        "zh-CN": ("付款未成功", "{group_no} 的付款未成功，您可以重试或换一种方式付款。"),
    },
    "late_payment": {
        "en": (
            "A payment came too late",
            "Your {amount} for {group_no} came after it was closed and is going back to you.",
        ),
        "zh-CN": ("付款已超时", "您为 {group_no} 支付的 {amount} 在订单关闭后到账，将原路退回。"),
    },
    "duplicate_payment": {
        "en": ("You paid twice", "{amount} came a second time for {group_no} and is going back to you."),
        "zh-CN": ("重复付款", "{group_no} 重复支付的 {amount} 将原路退回。"),
    },
    "wrong_amount": {
        "en": (
            "Another sum than due",
            "{amount} came for {group_no}, which is not the sum due. It is going back to you.",
        ),
        "zh-CN": ("付款金额不符", "{group_no} 收到的 {amount} 与应付金额不符，将原路退回。"),
    },
    "wrong_amount_held": {
        "en": (
            "A wrong sum is held",
            "{amount} came for {group_no}, which is not the sum due. Please decide about it.",
        ),
        "zh-CN": ("金额不符待处理", "{group_no} 收到的 {amount} 与应付金额不符，请处理。"),
    },
    "order_to_review": {
        "en": ("Order {order_no} waits for you", "Please approve or reject order {order_no} by {review_by}."),
        "zh-CN": ("订单 {order_no} 待审核", "请在 {review_by} 前审核订单 {order_no}。"),
    },
    "risk_to_review": {
        "en": ("Order {order_no} looks risky", "Please approve or reject order {order_no} by {review_by}."),
        "zh-CN": ("订单 {order_no} 有风险", "请在 {review_by} 前审核订单 {order_no}。"),
    },
    "order_stalled": {
        "en": ("Order {order_no} does not move", "Order {order_no} waits longer than it should: {reason}."),
        "zh-CN": ("订单 {order_no} 停滞", "订单 {order_no} 等待过久：{reason}。"),
    },
    "order_confirmed": {
        "en": ("Order {order_no} is confirmed", "Order {order_no} is on its way to the warehouse."),
        "zh-CN": ("订单 {order_no} 已确认", "订单 {order_no} 已通知仓库发货。"),
    },
    "order_to_ship": {
        "en": ("Please send order {order_no}", "Order {order_no} is confirmed. Please hand it over by {ship_by}."),
        "zh-CN": ("订单 {order_no} 待发货", "订单 {order_no} 已确认，请在 {ship_by} 前发货。"),
    },
    "order_cancelled": {
        "en": (
            "Order {order_no} is cancelled",
            "Order {order_no} was cancelled: {reason}. What was paid for it goes back to you.",
        ),
        "zh-CN": ("订单 {order_no} 已取消", "订单 {order_no} 已取消：{reason}。已付款项将退还给您。"),
    },
    "sale_cancelled": {
        "en": ("Order {order_no} is cancelled", "Order {order_no} was cancelled: {reason}. Please do not send it."),
        "zh-CN": ("订单 {order_no} 已取消", "订单 {order_no} 已取消：{reason}。请勿发货。"),
    },
    "lines_cancelled": {
        "en": ("A part of order {order_no} is cancelled", "A part of order {order_no} will not be sent: {reason}."),
        "zh-CN": ("订单 {order_no} 部分取消", "订单 {order_no} 的部分商品不再发货：{reason}。"),
    },
    "cancellation_rejected": {
        "en": (
            "Order {order_no} can't be stopped any more",
            "The goods of order {order_no} have left. You may refuse them at the door, or send them back.",
        ),
        "zh-CN": ("订单 {order_no} 无法取消", "订单 {order_no} 的商品已经发出，您可以拒收或收货后退货。"),
    },
    "order_closed": {
        "en": ("Order {order_no} is closed", "Order {order_no} was closed: {reason}."),
        "zh-CN": ("订单 {order_no} 已关闭", "订单 {order_no} 已关闭：{reason}。"),
    },
    "shipment_late": {
        "en": ("Order {order_no} is late", "Order {order_no} was not sent in time. You may cancel it without asking."),
        "zh-CN": ("订单 {order_no} 未按时发货", "订单 {order_no} 未按时发货，您可以直接取消。"),
    },
    "shipment_overdue": {
        "en": (
            "Order {order_no} is overdue",
            "Order {order_no} was to be sent by {ship_by}. Its buyer may now cancel without your consent.",
        ),
        "zh-CN": ("订单 {order_no} 已超时未发货", "订单 {order_no} 应在 {ship_by} 前发货，买家现在可以直接取消。"),
    },
    "shipped": {
        "en": (
            "Order {order_no} was sent",
            "A parcel of order {order_no} is on its way. You can follow it in your account.",
        ),
        "zh-CN": ("订单 {order_no} 已发货", "订单 {order_no} 的包裹已发出，您可以在账户中查看物流。"),
    },
    "delivery_failed": {
        "en": (
            "Nobody could take your parcel",
            "A parcel of order {order_no} could not be handed over. It will be tried again.",
        ),
        "zh-CN": ("派送未成功", "订单 {order_no} 的包裹派送未成功，将再次派送。"),
    },
    "delivery_refused": {
        "en": ("Order {order_no} was refused", "The buyer refused a parcel of order {order_no}; it is coming back."),
        "zh-CN": ("订单 {order_no} 被拒收", "买家拒收了订单 {order_no} 的包裹，正在退回。"),
    },
    "parcel_came_back": {
        "en": (
            "A parcel of order {order_no} came back",
            "A parcel of order {order_no} is in your warehouse again. Please inspect it: what is found fit for sale"
            " goes back on sale.",
        ),
        "zh-CN": (
            "订单 {order_no} 的包裹已退回",
            "订单 {order_no} 的包裹已退回您的仓库，请验货；验收完好的商品将重新上架。",
        ),
    },
    "shipment_lost": {
        "en": ("A parcel was lost", "A parcel of order {order_no} was lost. You will get the money or the goods."),
        "zh-CN": ("包裹丢失", "订单 {order_no} 的包裹丢失，我们会退款或补发。"),
    },
    "shipment_lost_seller": {
        "en": ("A parcel was lost", "A parcel of order {order_no} was declared lost."),
        "zh-CN": ("包裹丢失", "订单 {order_no} 的包裹已判定丢失。"),
    },
    "delivered": {
        "en": (
            "Order {order_no} has arrived",
            "Please confirm the receipt of order {order_no}; by {receipt_by} it counts as confirmed.",
        ),
        "zh-CN": ("订单 {order_no} 已签收", "请确认收货；{receipt_by} 后订单 {order_no} 将自动确认。"),
    },
    "receipt_confirmed": {
        "en": (
            "Order {order_no} was received",
            "The receipt of order {order_no} is confirmed; its money will be released.",
        ),
        "zh-CN": ("订单 {order_no} 已确认收货", "订单 {order_no} 已确认收货，货款即将结算。"),
    },
    "receipt_extended": {
        "en": (
            "More time for order {order_no}",
            "The buyer of order {order_no} has until {receipt_by} to confirm its receipt.",
        ),
        "zh-CN": ("订单 {order_no} 延长收货", "买家已将订单 {order_no} 的确认收货时间延长至 {receipt_by}。"),
    },
    "refunded": {
        "en": ("{amount} refunded", "{amount} for order {order_no} went back to you."),
        "zh-CN": ("已退款 {amount}", "订单 {order_no} 的 {amount} 已退还给您。"),
    },
    "money_returned": {
        "en": ("{amount} went back to you", "{amount} that was not due for {group_no} went back to you."),
        "zh-CN": ("已退还 {amount}", "{group_no} 多付的 {amount} 已退还给您。"),
    },
    "refund_failed": {
        "en": ("A refund failed for good", "{amount} for {group_no} could not be sent back. Please find another way."),
        "zh-CN": ("退款失败", "{group_no} 的 {amount} 无法原路退回，请另行处理。"),
    },
    "paid_out": {
        "en": (
            "{amount} paid out",
            "{amount} of your balance went to your bank account; the bank calls it {bank_ref}.",
        ),
        "zh-CN": ("已提现 {amount}", "您的余额 {amount} 已转入您的银行账户，银行流水号 {bank_ref}。"),
    },
    "payout_failed": {
        "en": (
            "A payout failed",
            "{amount} could not be paid to your bank account and is in your balance again. Please look at the account"
            " and ask once more.",
        ),
        "zh-CN": ("提现失败", "{amount} 未能转入您的银行账户，已退回余额。请核对账户后重新申请。"),
    },
}

CODES: dict[str, dict[str, str]] = {
    "payment_timeout": {"en": "it was not paid in time", "zh-CN": "超时未付款"},
    "buyer": {"en": "the buyer wished so", "zh-CN": "买家取消"},
    "seller": {"en": "the seller could not fulfil it", "zh-CN": "卖家无法履行"},
    "operator": {"en": "the platform decided so", "zh-CN": "平台取消"},
    "review_rejected": {"en": "it was not approved", "zh-CN": "审核未通过"},
    "out_of_stock": {"en": "the goods are sold out", "zh-CN": "商品缺货"},
    "coupon": {"en": "a coupon could not be used", "zh-CN": "优惠券不可用"},
    "risk": {"en": "it could not be accepted", "zh-CN": "订单存在风险"},
    "sibling_failed": {"en": "another order of the same purchase failed", "zh-CN": "同一购买中的其他订单未成功"},
    "placement_unanswered": {"en": "stock or risk has not answered", "zh-CN": "库存或风控未答复"},
    "payment_unanswered": {"en": "payment has not said whether it was paid", "zh-CN": "支付结果未答复"},
    "review_unanswered": {"en": "nobody has reviewed it", "zh-CN": "无人审核"},
    "cancel_unanswered": {"en": "shipping has not said whether it can be stopped", "zh-CN": "能否拦截未答复"},
    "placement_timeout": {"en": "it could not be processed in time", "zh-CN": "处理超时"},
    "cod_refused": {"en": "the goods were refused at the door", "zh-CN": "买家拒收"},
    "undeliverable": {"en": "the goods could not be delivered and came back", "zh-CN": "无法送达，已退回"},
    "fully_refunded": {"en": "all of it was refunded", "zh-CN": "已全额退款"},
    "failing": {"en": "it took nothing for three days", "zh-CN": "三天内未接收任何消息"},
    "gone": {"en": "it answered that it is gone", "zh-CN": "对方返回地址已失效"},
    "approved": {"en": "approved", "zh-CN": "通过"},
    "rejected": {"en": "rejected", "zh-CN": "未通过"},
    "banned": {"en": "banned", "zh-CN": "禁售"},
}
